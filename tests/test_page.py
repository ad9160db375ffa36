"""`python -m analysis report STUDY --html FILE`: one page that needs nothing else."""

import re
from html.parser import HTMLParser

import pytest
from genomes import evolved
from made_study import make_study

from analysis.__main__ import main

EMPTY = {"meta", "img", "br", "hr"}


class Reader(HTMLParser):
    """Checks that every element ends, and collects what is in the page."""

    def __init__(self):
        super().__init__()
        self.open, self.tables, self.sources, self.words = [], 0, [], []

    def handle_starttag(self, tag, attributes):
        self.tables += tag == "table"
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def study(tmp_path):
    folder = make_study(tmp_path / "a & <b>", {"digits": {"backprop": [0.8, 0.9], "hebbian": [0.6, 0.7]}})
    (folder / "study.yaml").write_text(
        "script: run-wlnn-mnist\ngrid: {learning_rule: [hebbian, backprop], seed: [0, 1]}\n"
    )
    for seed in (0, 1):
        made = {"generation": 7, "code": "commit abc", "versions": {"numpy": "2.4"}}
        genome = evolved(seed, 64, 10, p_initial=0.05, mutations=20, with_weights=True)
        genome.save(folder / f"backprop-digits-seed{seed}" / "champion_network.json", made)
    return folder


def test_the_page_is_whole_and_needs_no_network(study, tmp_path, capsys):
    to = tmp_path / "pages" / "study.html"
    assert main(["report", str(study), "--html", str(to)]) == 0
    assert capsys.readouterr().out == f"{to}\n"
    text = to.read_text()
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert len(reader.sources) == 3  # the comparison and two champions
    assert all(source.startswith("data:image/png;base64,") for source in reader.sources)
    assert not re.search(r"https?://|<script|@import|url\(", text)
    words = " ".join(reader.words)
    assert "Study a & <b>" in words
    assert "learning_rule: [hebbian, backprop]" in words
    assert "hebbian-digits-seed0: no champion" in words
    assert "found in generation 7" in words
    assert "commit abc; numpy 2.4" in words
    assert "python run-study.py" in words
    assert reader.tables == 3  # groups, pairs, runs


def test_a_page_of_no_study_is_one_line(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--html", str(tmp_path / "x.html")]) == 2
    assert "there are no runs in this folder" in capsys.readouterr().err
    assert not (tmp_path / "x.html").exists()
