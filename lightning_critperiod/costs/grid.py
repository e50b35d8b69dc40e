"""The electricity grids whose carbon intensity codecarbon ships."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Country -> the files of its regions; codecarbon up to 3.3.1 has the USA of an earlier year.
_REGIONS = {
    "USA": ("2023/usa_emissions.json", "2016/usa_emissions.json"),
    "CAN": ("2023/canada_energy_mix.json",),
}


@cache
def _shipped(name: str) -> dict[str, Any]:
    """A file of codecarbon's; empty if it cannot be read, which must not stop a training."""
    try:
        # Found, not imported: whoever makes a monitor need not pay for codecarbon's own imports yet.
        places = getattr(find_spec("codecarbon"), "submodule_search_locations", None) or ()
        file = next(Path(place) / "data" / "private_infra" / name for place in places)
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (StopIteration, OSError):
        return {}
    return content


def check_grid(country_iso_code: str, region: str | None) -> None:
    """Refuse a country or a region whose carbon intensity is not known.

    Args:
        country_iso_code: ISO 3166-1 alpha-3 code such as "USA" or "FRA".
        region: A state of the USA or a province of Canada in lower case, or None for the whole country.

    Raises:
        TypeError: An argument is not a string.
        ValueError: Unknown country or region.
    """
    if not isinstance(country_iso_code, str):
        raise TypeError(f"country_iso_code must be a string, got {country_iso_code!r}")
    countries = _shipped("global_energy_mix.json")
    if countries and country_iso_code not in countries:
        raise ValueError(
            f"country_iso_code must be one of the {len(countries)} three-letter ISO 3166-1 codes that "
            f"codecarbon knows, such as USA, FRA or DEU, got {country_iso_code!r}"
        )
    if region is not None:
        _check_region(country_iso_code, region)


def _check_region(country_iso_code: str, region: str) -> None:
    if not isinstance(region, str):
        raise TypeError(f"region must be a string or None, got {region!r}")
    if country_iso_code not in _REGIONS:
        raise ValueError(f"region is known for {', '.join(_REGIONS)} only, got {region!r} of {country_iso_code}")
    regions = {name for file in _REGIONS[country_iso_code] for name in _shipped(file) if not name.startswith("_")}
    if regions and region not in regions:
        raise ValueError(f"region must be one of {', '.join(sorted(regions))}, got {region!r}")
