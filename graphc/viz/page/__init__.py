"""One file of HTML in which a person explores a drawing: no server, no network, nothing but the page."""

from graphc.viz.page.page import page_of

__all__ = ["page_of"]
