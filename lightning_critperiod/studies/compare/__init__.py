"""``critperiod compare``: arms of one config side by side, on the same seeds and splits, and what they gained or lost."""
