"""``critperiod compare --levers``: what the package offers a config, each beside a shorter run of the same FLOPs."""
