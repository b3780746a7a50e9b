def test_it(finished_home, pipeline):
    print(finished_home)
