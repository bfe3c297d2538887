"""What figures share: colors that all readers tell apart, and files of them."""

# Okabe and Ito, Color universal design, 2008; yellow is left out, it does not show on white.
BLACK, ORANGE, SKY, GREEN, BLUE, RED, PURPLE = COLORS = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
MARKERS = ("o", "^", "s", "D", "X", "v", "P")
