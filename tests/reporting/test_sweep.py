from yolo_prune.reporting.sweep import columns, rows, write_sweep

RUN = {"state": "done", "error": None, "directory": "d", "params": 2e6, "agreement": None, "latency_ratio": 0.7,
       "front": []}  # fmt: skip
RECORD = {
    "model": None, "metric": "mAP50-95", "varied": ["criterion", "seed"], "out": "out",
    "runs": [
        {**RUN, "name": "a", "options": {"criterion": "l1", "seed": 0}, "macs": 1e9, "metric": 0.5},
        {**RUN, "name": "b", "options": {"criterion": "l1", "seed": 1}, "macs": 1e9, "metric": 0.6,
         "front": ["macs", "latency_ratio"]},
        {**RUN, "name": "c", "options": {"criterion": "l2", "seed": 0}, "macs": 1e9, "metric": 0.4},
        {**RUN, "name": "d", "options": {"criterion": "l2", "seed": 1}, "state": "failed", "error": "no",
         "macs": None, "params": None, "metric": None, "latency_ratio": None},
    ],
}  # fmt: skip


def test_runs_that_differ_in_their_seed_are_one_row():
    assert columns(RECORD)[:2] == ["criterion", "runs"]
    assert rows(RECORD) == [
        ["l1", "2", "0.550 ±0.050", "0.70 ±0.00", "1.000 ±0.000", "2.00 ±0.00", "-"],
        ["l2", "1, 1 failed", "0.400", "0.70", "1.000", "2.00", "-"],
    ]


def test_the_page_shows_every_run(tmp_path):
    page = write_sweep(RECORD, tmp_path / "sweep.html").read_text()
    assert "4 runs of the embedded example" in page
    assert "All runs" in page
    assert "failed" in page
