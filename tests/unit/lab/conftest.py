"""Properties hold on a busy machine too, and leave nothing behind in the checkout."""

from hypothesis import settings

settings.register_profile("lab", deadline=None, database=None)
settings.load_profile("lab")
