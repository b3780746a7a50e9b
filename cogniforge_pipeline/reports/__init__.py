"""What leaves the lake for other tools: a DuckDB file and Parquet files of the decision tables."""
