"""What the page is built with; the same elements show results in notebooks, so they live at the bottom."""

from quantlab.markup import Child as Child
from quantlab.markup import element as element
from quantlab.markup import number as number
from quantlab.markup import row as row
from quantlab.markup import table as table
from quantlab.markup import to_data as to_data
from quantlab.markup import to_markup as to_markup
