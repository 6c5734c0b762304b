"""python -m deepcore audit: the page, the table to relabel, and what is refused."""

from __future__ import annotations

import base64
import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from deepcore.__main__ import main
from deepcore.logs import LossRecorder, read_logs
from deepcore.report.loss_curve import loss_curve
from deepcore.report.sample_cards import references
from deepcore.report.sample_views import sample_views
from methods.cld import CLD

N, Q, T, C = 90, 30, 12, 3
LABELS, VAL_LABELS = np.arange(N) % C, np.arange(Q) % C
WRONG = np.array([4, 31, 50])
NAMES = np.array(["cat", "dog", "<eel>"])
PICTURES = np.random.default_rng(5).integers(0, 256, (N, 6, 6), dtype=np.uint8)
IDS = np.array([f"a/{i:03}.png" for i in range(N)])


def logits_of(labels: np.ndarray, wrong: np.ndarray, seed: int) -> np.ndarray:
    """A network that learns the true classes; those of `wrong` are the next."""
    true = labels.copy()
    true[wrong] = (true[wrong] + 1) % C
    z = np.random.default_rng(seed).normal(0, 0.1, (T, len(labels), C))
    z[:, np.arange(len(labels)), true] += 6 * (1 - np.exp(-np.arange(T) / 3))[:, None]
    return z


def write_log(
    folder: Path, *, ids: np.ndarray | None = None, mode: str = "log", classes: bool = True
) -> Path:
    labels = (LABELS, VAL_LABELS) if classes else (None, None)
    recorder = LossRecorder(*labels, np.arange(N) if ids is None else ids, folder=folder, mode=mode)
    train, val = logits_of(LABELS, WRONG, 0), logits_of(VAL_LABELS, [], 1)
    for t in range(T):
        if classes:
            recorder.log(recorder.ids, logits=train[t])
            recorder.log_val(logits=val[t])
        else:
            recorder.log(recorder.ids, np.abs(train[t, :, 0]))
            recorder.log_val(np.abs(val[t, :, 0]))
        recorder.end_epoch()
    return folder


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        try:
            status = main(["audit", *(str(word) for word in argv)])
        except SystemExit as stop:
            status = stop.code
        return status, capsys.readouterr().err

    return run


class Page(HTMLParser):
    """The words of a page, its images, and whether every element is closed."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.words, self.images, self.links = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.links += [values[name] for name in ("src", "href") if name in values]
        self.images += [values] if tag == "img" else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    @property
    def cards(self) -> list[str]:
        """The words after each card's rank, suspects first."""
        return re.split(r"#[\d,]+ ", self.text)[1:]


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_flipped_samples_come_first(call, tmp_path):
    np.savez(tmp_path / "x.npz", x_train=PICTURES)
    log = write_log(tmp_path / "log")
    status, said = call(log, "--data", "x.npz", "--show", 6)
    assert status == 0
    assert "90 samples ranked; an estimated 3.3% of the labels are wrong" in said
    page = Page((tmp_path / "audit.html").read_text())
    assert "3.3% estimated share of wrong labels: 3 of 90" in page.text
    assert len(page.images) == 6 + 4
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert "http" not in page.text
    rows = read_csv(tmp_path / "audit.csv")
    assert {int(row["id"]) for row in rows[:3]} == set(WRONG)
    for row in rows[:3]:
        assert int(row["model_says"]) == (int(row["label"]) + 1) % C
        assert row["new_label"] == ""
    assert len(rows) == N  # at least 100 asked for, there are 90
    scores = CLD(trajectory="global").score(read_logs(log))
    assert [float(row["CLD"]) for row in rows] == pytest.approx([scores[int(row["id"])] for row in rows])
    for row, part in zip(rows[:6], page.cards[:6], strict=True):
        assert f"labelled {row['label']} the model says {row['model_says']}" in part
    assert list(rows[0]) == ["rank", "id", "label", "model_says", "share_of_epochs", "combined_rank", "CLD",
                             "AUM", "loss", "new_label"]  # fmt: skip


def test_the_curve_beside_a_sample_is_the_one_that_cld_compares_with(call, tmp_path):
    log = write_log(tmp_path / "log")
    assert call(log)[0] == 0
    run = read_logs(log)
    known = references(run)
    np.testing.assert_array_equal(known[:, 0], run.val_mean(initial=run.has_initial))
    assert known.shape[1] == 1
    page = Page((tmp_path / "audit.html").read_text())
    assert "dashed grey: the mean validation loss of all classes" in page.text


@pytest.mark.parametrize("shape", ["overall", "by class"])
def test_mean_validation_losses_are_enough_for_cld(call, tmp_path, shape):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    val = rng.random(8 if shape == "overall" else (8, 3))
    np.savez(tmp_path / "log.npz", train_losses=rng.random((8, 60)), train_labels=labels, val_losses=val)
    status, _ = call("log.npz")
    assert status == 0
    remark = "CLD compares with the validation loss of the sample's class: the log holds none of all classes"
    assert (remark in Page((tmp_path / "audit.html").read_text()).text) == (shape == "by class")
    run = read_logs(tmp_path / "log.npz")
    scores = CLD(trajectory="global" if shape == "overall" else "class").score(run)
    rows = read_csv(tmp_path / "audit.csv")
    assert [float(row["CLD"]) for row in rows] == pytest.approx([scores[int(row["id"])] for row in rows])


def test_a_one_pass_log_has_no_curves(call, tmp_path):
    status, said = call(write_log(tmp_path / "log", mode="one_pass"), "--suspects", 5, "--csv", "relabel.csv")
    assert status == 0
    page = (tmp_path / "audit.html").read_text()
    assert "<svg" not in page
    assert "made in one pass" in Page(page).text
    assert "CLD compares with the validation loss of the sample's class" in Page(page).text
    rows = read_csv(tmp_path / "relabel.csv")
    assert len(rows) == 5
    assert {int(row["id"]) for row in rows[:3]} == set(WRONG)
    assert "cannot be told from this log" in said


@pytest.mark.parametrize(
    ("losses", "top", "bottom"),
    [
        ([-1.0, -2.5, np.nan, -2.0], "0", "-2.5"),
        ([3.0, 0.5], "3", "0"),
        ([0.0, 0.0], "1", "0"),
        ([2.0, np.nan], "2", "0"),
        ([-1.0, 2.0], "2", "-1"),
    ],
)
def test_curves_stay_in_their_drawing(losses, top, bottom):
    losses = np.array(losses)
    svg = loss_curve(losses, losses / 2, 1, suspicious=True)
    paths = re.findall(r'<path class="(?:ref|odd)" d="M([^"]*)"', svg)
    ys = [float(point.split()[1]) for path in paths for point in path.split("L")]
    assert len(paths) == 2
    assert 8 <= min(ys) <= max(ys) <= 80
    own = [float(point.split()[1]) for point in paths[1].split("L")]
    known = losses[np.isfinite(losses)]
    assert np.argsort(own, kind="stable").tolist() == np.argsort(-known, kind="stable").tolist()
    assert re.findall(r'text-anchor="end">([^<]*)</text>', svg)[:2] == [top, bottom]


def test_losses_without_classes(call, tmp_path):
    status, _ = call(write_log(tmp_path / "log", classes=False))
    assert status == 0
    page = Page((tmp_path / "audit.html").read_text())
    assert "By class" not in page.text
    assert "cannot be estimated from this log" in page.text
    assert "label" not in read_csv(tmp_path / "audit.csv")[0]


def test_names_and_texts_are_shown_as_text(call, tmp_path):
    """What comes from the log and the data never becomes part of the page's own code."""
    lines = ["id,epoch,split,label,loss,margin,predicted"]
    train, val = logits_of(LABELS, WRONG, 0), logits_of(VAL_LABELS, [], 1)
    for t in range(T):
        for part, z, labels in (("train", train[t], LABELS), ("val", val[t], VAL_LABELS)):
            loss = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]
            margin = -loss
            for i in range(len(z)):
                lines.append(
                    f"<b>{i},{t},{part},{NAMES[labels[i]]},{loss[i]},{margin[i]},{NAMES[z[i].argmax()]}"
                )
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    texts = "".join(f'<b>{i},"<script>alert({i})</script> & more"\n' for i in range(N))
    (tmp_path / "texts.csv").write_text("key,body\n" + texts)
    status, said = call("log.csv", "--data", "texts.csv", "--data_column", "body", "--data_id", "key")
    assert status == 0, said
    source = (tmp_path / "audit.html").read_text()
    assert "<script" not in source
    assert "<eel>" not in source
    page = Page(source)
    assert "<script>alert(4)</script> & more" in page.text
    assert "<eel>" in page.text
    assert {row["id"] for row in read_csv(tmp_path / "audit.csv")[:3]} == {f"<b>{i}" for i in WRONG}


@pytest.mark.parametrize("values", [PICTURES // 16, PICTURES / 255 - 0.5, PICTURES])
def test_pictures_of_any_range_fill_it(call, tmp_path, values):
    """Bytes from 0 to 15 are not shown as black; usual bytes stay as they are."""
    image = pytest.importorskip("PIL.Image")
    np.savez(tmp_path / "x.npz", x_train=values)
    assert call(write_log(tmp_path / "log"), "--data", "x.npz", "--show", 6)[0] == 0
    page = Page((tmp_path / "audit.html").read_text())
    first = int(read_csv(tmp_path / "audit.csv")[0]["id"])
    content = base64.b64decode(page.images[0]["src"].split(",")[1])
    shown = np.asarray(image.open(io.BytesIO(content)), dtype=np.float64)
    whole = PICTURES // 16 * 17.0 if values.dtype == np.uint8 and values.max() < 16 else PICTURES
    np.testing.assert_allclose(shown, whole[first], atol=3)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_black_and_the_others_as_they_are(tmp_path, odd):
    image = pytest.importorskip("PIL.Image")
    values = PICTURES / 255
    values[3, 0, 0] = odd
    np.savez(tmp_path / "x.npz", x_train=values)
    views = sample_views(tmp_path / "x.npz", None, "id")
    for sample in (3, 7):
        content = base64.b64decode(re.search('base64,([^"]+)', views.view(sample))[1])
        expected = PICTURES[sample].copy()
        if sample == 3:
            expected[0, 0] = 0
        np.testing.assert_allclose(np.asarray(image.open(io.BytesIO(content)), float), expected, atol=1)


@pytest.mark.parametrize("text_ids", [True, False])
def test_pictures_of_a_folder(call, tmp_path, text_ids):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    for name, pixels in zip(IDS, PICTURES, strict=True):
        image.fromarray(pixels).save(tmp_path / "pictures" / name)
    log = write_log(tmp_path / "log", ids=IDS if text_ids else None)
    status, said = call(log, "--data", "pictures", "--show", 3)
    assert status == 0, said
    page = Page((tmp_path / "audit.html").read_text())
    assert {entry["alt"] for entry in page.images[:3]} == {f"sample {IDS[i]}" for i in WRONG}


@pytest.mark.parametrize("flag", ["--show", "--suspects"])
def test_a_number_beyond_64_bits(call, flag):
    status, said = call("log", flag, "9" * 20)
    assert status == 2
    assert f"argument {flag}: {'9' * 20} is beyond 64 bits" in said


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--out", "page.txt"], "the page's name must end in .html"),
        (["--csv", "table.tsv"], "the table's name must end in .csv"),
        (["--out", "no/audit.html"], "lies in a folder that does not exist"),
        (["--show", "0"], "--show is 0"),
        (["--suspects", "-2"], "--suspects is -2"),
        (["--data", "nothing.npz"], "nothing.npz: it cannot be read"),
        (["--data", "nothing.json"], "--data names an .npz of pictures, a folder of pictures, or a .csv"),
        (["--data", "t.csv"], "which column holds the text. say --data_column NAME"),
        (["--data", "t.csv", "--data_column", "body"], "there is no column 'body' in it, but id, text"),
        (["--data", "t.csv", "--data_column", "text"], "there is no text for id"),
        (["--data", "few.npz"], "there is no picture for id .*: ids of pictures in an .npz are row numbers"),
        (["--data", "flat.npz"], "no pictures x_train"),
        (["--data", "none.npz"], r"x_train holds float64 values of shape \(0, 6, 6\): pictures are real"),
        (
            ["--data", "first.npz"],
            r"x_train has shape \(90, 3, 6, 6\), more channels than rows or columns: channels",
        ),
        (["--data", "words.npz"], "x_train holds <U1 values of shape"),
        (["--data", "empty"], "there are no pictures in it"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(call, tmp_path, argv, message):
    log = write_log(tmp_path / "log")
    (tmp_path / "t.csv").write_text("id,text\n999,x\n")
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "few.npz", x_train=PICTURES[:1])
    np.savez(tmp_path / "flat.npz", x_train=PICTURES[0])
    np.savez(tmp_path / "none.npz", x_train=np.zeros((0, 6, 6)))
    np.savez(tmp_path / "first.npz", x_train=np.zeros((N, 3, 6, 6)))
    np.savez(tmp_path / "low.npz", x_train=np.zeros((N, 1, 6, 3)))  # of one row
    assert isinstance(sample_views(tmp_path / "low.npz", None, "id").view(3), str)
    np.savez(tmp_path / "words.npz", x_train=np.full((N, 6, 6), "a"))
    before = sorted(tmp_path.iterdir())
    status, said = call(log, *argv)
    assert status == 2
    assert re.search(message, said)
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_the_log_is_never_overwritten(call, tmp_path):
    text = "id,epoch,loss\n" + "".join(f"{i},{t},{i + t}.5\n" for t in range(5) for i in range(9))
    (tmp_path / "run.csv").write_text(text)
    for argv in (["run.csv", "--out", "run.html"], ["run.csv", "--csv", "../" + tmp_path.name + "/run.csv"]):
        status, said = call(*argv)
        assert status == 2
        assert "would overwrite the log; give another --csv" in said
        assert (tmp_path / "run.csv").read_text() == text
    (tmp_path / "texts.csv").write_text(data := "id,text\n0,a\n")
    status, said = call("run.csv", "--data", "texts.csv", "--data_column", "text", "--csv", "texts.csv")
    assert status == 2
    assert "would overwrite the data" in said
    assert (tmp_path / "texts.csv").read_text() == data
    assert not (tmp_path / "audit.html").exists()
