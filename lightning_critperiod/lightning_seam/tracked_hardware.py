"""How codecarbon obtains the energy of each part of the machine."""

from typing import Any

_MEASURED = {
    "intel_rapl": "measured by the processor's energy counter (RAPL)",
    "windows_emi": "measured by the processor's energy counter (EMI)",
    "intel_power_gadget": "measured by Intel Power Gadget",
}

_OWN = (
    "force_cpu_power",
    "force_ram_power",
    "force_mode_cpu_load",
    "pue",
    "rapl_include_dram",
    "rapl_prefer_psys",
)
"""What a user's configuration of codecarbon may say of the machine."""


def how_obtained(tracker: Any) -> dict[str, str]:
    """Part of the machine -> how its energy is obtained, from the hardware that codecarbon tracks.

    Args:
        tracker: codecarbon's, that runs.

    Returns:
        One entry more, "settings", where a user's own configuration of codecarbon says something of the machine. One
        entry alone, which says so, where this version of codecarbon does not tell.
    """
    try:
        return _told(tracker)
    except AttributeError as error:
        version = getattr(__import__("codecarbon"), "__version__", "of unknown version")
        return {"energy": f"measured or estimated by codecarbon {version}, which does not tell ({error})"}


def _told(tracker: Any) -> dict[str, str]:
    obtained = {"gpu": "no graphics card found"}
    given = ", ".join(f"{name} = {tracker._external_conf[name]}" for name in _OWN if name in tracker._external_conf)
    if given:
        obtained["settings"] = f"codecarbon's own, by your configuration of it: {given}"
    for part in tracker._hardware:
        kind = type(part).__name__
        if kind == "GPU":
            obtained["gpu"] = "measured by the graphics card's energy counter (NVML or AMD SMI)"
        elif kind == "RAM":
            obtained["ram"] = "estimated: constant power by memory size"
        elif kind == "CPU":
            obtained["cpu"] = _MEASURED.get(part._mode, f"estimated: {part._tdp} W (TDP) scaled by processor load")
        else:
            obtained[str(part.chip_part).lower()] = f"measured by the system's power meter ({kind})"
    return obtained
