"""What users are interested in, told from what they write: terms, and profiles of them; pure transforms.

The flow: `phrases` cuts reviews where stop words and punctuation stand; `vocabulary` says which of these words and
phrases are terms; `mentions` which review names which; `profiles` weighs them for each user.
"""

from tandemrec.interest.profiles import pooled, user_profiles
from tandemrec.interest.terms import mentions, named_by_text, numbered, phrases, vocabulary

__all__ = ["mentions", "named_by_text", "numbered", "phrases", "pooled", "user_profiles", "vocabulary"]
