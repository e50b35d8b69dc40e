"""``critperiod compare``: arms of one config side by side, with the same seeds and splits."""
