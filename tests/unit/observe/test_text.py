"""Texts as a terminal may show them."""

from attune_ray.observe.text import byte_count, cell_width, harmless, short, table


def test_what_a_terminal_would_act_upon_is_shown_as_an_escape() -> None:
    """Colours, the bell, C1 codes, directions of writing, line breaks, halves of characters."""
    assert harmless("\x1b[2J\a\x9b1m\u202eabc\n\ud800") == "\\x1b[2J\\x07\\x9b1m\\u202eabc\\n\\ud800"
    assert harmless("[bold]naïve 世界 👍[/]") == "[bold]naïve 世界 👍[/]"


def test_a_value_is_shortened_to_one_harmless_line() -> None:
    """Objects as compact JSON."""
    assert short({"a": [1, "x\n"]}) == '{"a": [1, "x\\\\n"]}' or short({"a": [1, "x\n"]}) == '{"a": [1, "x\\n"]}'
    assert short("abc\x1b" * 100, 10) == "abc\\x1babc…"[:9] + "…"


def test_a_table_is_aligned_also_with_wide_characters() -> None:
    """Texts to the left, numbers to the right."""
    lines = table(("task", "items"), [("世界", "1"), ("a", "1,000")]).splitlines()

    assert lines == ["task  items", "────  ─────", "世界      1", "a     1,000"]
    assert cell_width("世界") == 4


def test_byte_counts_have_binary_units() -> None:
    """The largest one that keeps the number above 1."""
    assert [byte_count(n) for n in (0, 1023, 1024, 5 * 1024**2, 2**50)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.0 MiB",
        "1024.0 TiB",
    ]
