"""What is asked of the site after an update; each module's ``run`` gives an ``Outcome``."""
