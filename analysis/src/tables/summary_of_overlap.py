import polars as pl
group = ["model", "task", "question_place", "window", "budget"]
of_samples = pl.scan_parquet("runs/*/overlap.parquet").group_by(*group, "content").agg(pl.col("recall").mean())
print(of_samples.group_by(group).agg(pl.col("recall").mean(), pl.col("recall").count().alias("samples")).collect(engine="streaming"))
