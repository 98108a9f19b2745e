"""A plot → where the script draws it; without scripts it stays hidden, and the tables tell the same."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from quantlab.markup import element


def figure(plot: str, caption: str, *, label: str, key: str = "") -> Element:
    """Return the place of a plot.

    Args:
        plot: which plot; see `plots.js`.
        caption: what is read below it.
        label: what it shows, for those who do not see it.
        key: which of the data of that plot.
    """
    place = element("div", class_="place", role="img", aria_label=label)
    return element(
        "figure", place, element("figcaption", caption), class_="plot", data_plot=plot, data_key=key, hidden="hidden"
    )
