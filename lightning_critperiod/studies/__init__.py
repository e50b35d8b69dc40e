"""Studies: many runs of one config, and what they say. ``compare`` and ``oracle`` are the two; the rest they share."""
