"""The flame graph: stacks become a tree, and the tree a picture that holds nothing but shapes and text."""

from __future__ import annotations

from xml.etree import ElementTree

from pastepool.core.telling.report import CodePlace
from pastepool.watch.flame import WIDTH, FlameTree, svg

SVG = "{http://www.w3.org/2000/svg}"


def stack(*functions: str) -> list[CodePlace]:
    """Innermost first."""
    return [CodePlace("/srv/app.py", 1, function) for function in functions]


def boxes(picture: str) -> dict[str, tuple[float, float, float]]:
    """Left, top and width of each box, by the function it is of."""
    found = {}
    for group in ElementTree.fromstring(picture).iter(f"{SVG}g"):
        title, rect = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None and title.text is not None and rect is not None
        values = [float(rect.get(name, "")) for name in ("x", "y", "width")]
        found[title.text.partition(" ")[0].rstrip(":")] = (values[0], values[1], values[2])
    return found


def test_width_is_the_share_of_samples_and_height_the_depth() -> None:
    """A call seen in three of four samples is three quarters wide and lies above its caller."""
    tree = FlameTree()
    for _ in range(3):
        tree.add(stack("query", "view", "main"))
    tree.add(stack("render", "main"))
    found = boxes(svg(tree, "title"))
    whole = found["all"][2]
    assert abs(found["main"][2] - whole) < 1 and whole > 0.9 * WIDTH
    assert abs(found["query"][2] - 0.75 * whole) < 1 and abs(found["render"][2] - 0.25 * whole) < 1
    assert found["all"][1] < found["main"][1] < found["view"][1] < found["query"][1]
    assert abs(found["query"][0] - found["view"][0]) < 0.1


def test_picture_of_nothing_is_a_picture() -> None:
    """No worker ran anything: the title says so and nothing divides by nothing."""
    root = ElementTree.fromstring(svg(FlameTree(), "nothing"))
    assert root.tag == f"{SVG}svg" and not list(root.iter(f"{SVG}g"))


def test_names_are_text_and_never_markup() -> None:
    """Functions, files and the title may be called anything."""
    tree = FlameTree()
    tree.add([CodePlace('"/><script>alert(1)</script>', 1, "</title><script>x</script>\x00\ud800")])
    root = ElementTree.fromstring(svg(tree, "<script>&"))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {"svg", "title", "rect", "text", "g"}
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or name == "style"]


def test_tree_is_bounded() -> None:
    """Beyond the limit what is new is counted to its caller."""
    tree = FlameTree(limit=10)
    for number in range(100):
        tree.add(stack(f"f{number}", "main"))
    assert tree.root.count == 100 and len(tree.root.below) == 1
    (main,) = tree.root.below.values()
    assert main.count == 100 and len(main.below) == 9


def test_deep_stack_is_drawn_without_recursion() -> None:
    """Two hundred calls are two hundred rows."""
    tree = FlameTree()
    tree.add(stack(*(f"f{number}" for number in range(200))))
    assert len(boxes(svg(tree, "deep"))) == 201
