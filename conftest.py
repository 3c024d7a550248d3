"""What holds for the tests of every package."""

from hypothesis import HealthCheck, settings

# On a busy machine an example may take long; it has not failed for that.
settings.register_profile("untimed", settings(deadline=None, suppress_health_check=[HealthCheck.too_slow]))
settings.load_profile("untimed")
