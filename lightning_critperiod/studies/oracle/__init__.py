"""``critperiod oracle``: what a switch at each of a grid of epochs keeps, beside what the rule would have chosen."""
