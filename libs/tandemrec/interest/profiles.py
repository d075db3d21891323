"""Terms of a user's reviews with weight and sentiment, and the reviews' vectors as one.

    weight(u, t)    = tf(u, t) idf(t), divided by its sum over the terms of u
    tf(u, t)        = sum over the reviews r of u that name t of 2^(-age(r) / half_life)
    idf(t)          = ln((1 + U) / (1 + U_t)) + 1, of U users U_t name t (as in scikit-learn's smoothed form)
    sentiment(u, t) = (n m(u, t) + prior m(u)) / (n + prior), m the mean of the stars, n of them, laid on -1 to 1

Ages are counted from the user's last review: from any later moment on all weights of a user are the same.
"""

from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.stat import Summarizer
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tandemrec.config import CleanSettings, ProfileSettings

_DAY = 86_400
_LEAST = 1e-100  # weight of a review
_DIGITS = 6  # sums of the same numbers in another order are the same number again


def user_profiles(reviews: DataFrame, named: DataFrame, profiles: ProfileSettings, clean: CleanSettings) -> DataFrame:
    """Rows of gold.user_profiles but for as_of, encoder and vector.

    Args:
        reviews: review_id, user_id, review_time, rating and language of those that may be read.
        named: of `mentions`, with users.
        profiles: how terms are weighed and which are kept.
        clean: the range of the stars.
    """
    half = (clean.rating_max - clean.rating_min) / 2
    opinion = (F.col("rating") - clean.rating_min - half) / half
    told = reviews.select("review_id", "user_id", "review_time", opinion.alias("opinion"), aged(profiles.half_life))
    users = reviews.groupBy("user_id").agg(
        F.count("*").cast("int").alias("reviews"),
        F.mode("language", True).alias("language"),
        F.avg(opinion).alias("mood"),
    )
    everybody = F.broadcast(users.agg(F.count("*").alias("everybody")))
    terms = (
        named.join(told, "review_id")
        .groupBy("user_id", "term", "users")
        .agg(
            F.sum("weight").alias("tf"),
            F.count("*").cast("int").alias("count"),
            F.count("opinion").alias("n"),
            F.sum("opinion").alias("sum"),
            F.max("review_time").alias("last_time"),
        )
        .where(F.col("count") >= profiles.min_count)
        .join(users.select("user_id", "mood"), "user_id")
        .crossJoin(everybody)
    )
    weight = F.col("tf") * (F.log((1 + F.col("everybody")) / (1 + F.col("users"))) + 1)
    prior = F.lit(profiles.prior)
    sentiment = (F.coalesce("sum", F.lit(0.0)) + prior * F.col("mood")) / F.nullif(F.col("n") + prior, F.lit(0.0))
    by_user = Window.partitionBy("user_id")
    terms = terms.withColumns({"weight": weight, "sentiment": F.round(sentiment, _DIGITS)})
    terms = terms.withColumn("weight", F.round(F.col("weight") / F.sum("weight").over(by_user), _DIGITS))
    terms = terms.withColumn("place", F.row_number().over(by_user.orderBy(F.desc("weight"), "term")))
    keyword = F.struct("place", "term", "weight", "sentiment", "count", "last_time")
    ordered = F.array_sort(F.collect_list(keyword))
    kept = (
        terms.where(F.col("place") <= profiles.max_keywords)
        .groupBy("user_id")
        .agg(F.transform(ordered, lambda one: one.dropFields("place")).alias("keywords"))
    )
    none = F.array().cast(kept.schema["keywords"].dataType)
    rows = users.drop("mood").join(kept, "user_id", "left")
    return rows.select("user_id", "reviews", "language", F.coalesce("keywords", none).alias("keywords"))


def pooled(reviews: DataFrame, vectors: DataFrame, half_life: float) -> DataFrame:
    """Rows (user_id, vector): the mean of the vectors of a user's reviews by the weight of each, as floats.

    Args:
        reviews: user_id, text_hash and review_time.
        vectors: text_hash and vector, of one encoder.
        half_life: days.
    """
    rows = reviews.select("user_id", "text_hash", aged(half_life)).join(vectors, "text_hash")
    mean = Summarizer.mean(array_to_vector(F.col("vector").cast("array<double>")), F.col("weight"))
    vector = F.transform(vector_to_array(F.col("vector")), lambda value: F.round(value, _DIGITS).cast("float"))
    return rows.groupBy("user_id").agg(mean.alias("vector")).select("user_id", vector.alias("vector"))


def aged(half_life: float) -> Column:
    """`weight` of a review: 1 for the user's last, a half for one that is `half_life` days older."""
    newest = F.max("review_time").over(Window.partitionBy("user_id"))
    days = (F.unix_micros(newest) - F.unix_micros("review_time")) / 1e6 / _DAY
    # Never 0: where the newest review names no term, or has no vector, the others are all there is.
    return F.greatest(F.pow(F.lit(2.0), -days / half_life), F.lit(_LEAST)).alias("weight")
