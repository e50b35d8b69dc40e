"""The colours of page and figures, by the name that the page gives them: ``--ink``, ``--blue`` and so on."""

# The colours proper are those of Okabe and Ito 2008, "Color Universal Design".
LIGHT = {
    "ink": "#1b1e23",
    "muted": "#6b7280",
    "shade": "#d9dde3",
    "blue": "#0072b2",
    "sky": "#56b4e9",
    "green": "#009e73",
    "vermillion": "#d55e00",
    "purple": "#cc79a7",
    "orange": "#e69f00",
}
# In the dark the colours are lifted and the greys turned around.
DARK = {
    **LIGHT,
    "ink": "#e6e8eb",
    "muted": "#9aa1ab",
    "shade": "#343a43",
    "blue": "#3b8fd0",
    "sky": "#a5d8f6",
    "green": "#2fbf94",
    "vermillion": "#f0803c",
}
