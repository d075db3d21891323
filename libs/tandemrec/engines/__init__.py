"""The engines are started here and nowhere else: one module builds a SparkSession, one starts Ray."""
