"""Tables as text and in HTML."""

from xml.etree import ElementTree

from fastkl._core.text_tables import html_facts, html_table, table_lines

ROWS = [["name", "n", "note"], ["a & b", "1", ""], ["c", "12", "<- best"]]


def test_lines():
    assert table_lines(ROWS) == [
        "name    n     note",
        "a & b   1",
        "c      12  <- best",
    ]
    assert table_lines(ROWS, left=(0, 2)) == [
        "name    n  note",
        "a & b   1",
        "c      12  <- best",
    ]


def test_html_shows_the_cells_as_they_are():
    head, *rows = ROWS
    table = ElementTree.fromstring(html_table([*head, "picture"], rows, ["<svg/>", "<svg/>"], "<tr><td>more</td></tr>"))
    assert [[cell.text or "" for cell in line][:3] for line in table][:3] == ROWS
    assert [line[3][0].tag for line in table[1:3]] == ["svg", "svg"]
    assert table[3][0].text == "more"


def test_facts():
    table = ElementTree.fromstring(html_facts({"rows": "3", "p-value": "0.5 <svg/>"}))
    assert [(line[0].text, line[1].text) for line in table] == [("rows", "3"), ("p-value", "0.5 ")]
