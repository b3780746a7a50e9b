"""The child process in which jq expressions run, with little memory, no files and no environment.

Belongs here: the loop. Does not: the time limit, which the parent keeps (`jq_paths.py`).

One request is a line of JSON {program, document}; the answer is a line {paths} or {error}.
"""

import json
import resource
import sys

MEMORY = 1 << 29
PATHS = 100_000


def main() -> None:
    """Answers until the input ends."""
    import jq

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    programs: dict[str, object] = {}
    for line in sys.stdin:
        request = json.loads(line)
        program = request["program"]
        try:
            if program not in programs:
                jq.compile(program)  # by itself: what is no whole expression must not become one within path()
                programs[program] = jq.compile(f"path({program}\n)")
            found = []
            for path in programs[program].input_value(request["document"]):  # type: ignore[attr-defined]
                found.append(path)
                if len(found) > PATHS:
                    raise ValueError(f"it gives more than {PATHS} paths")
            answer: dict[str, object] = {"paths": found}
        except (ValueError, MemoryError, StopIteration) as error:
            answer = {"error": str(error) or type(error).__name__}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
