import time
from types import SimpleNamespace

import pytest

from tests.host.checkpoints import SHORT
from yolo_prune import YOLO
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.ending import WINDOW, Ending
from yolo_prune.host.training import finished_checkpoint, train


class _Trainer(SimpleNamespace):
    """What an ending reads and writes of a trainer."""

    def __init__(self, epochs):
        super().__init__(
            epochs=epochs, args=SimpleNamespace(epochs=epochs), stop=False, train_time_start=time.time(),
            scheduler=SimpleNamespace(last_epoch=0), scheduled=[], epoch=-1, fitness=0.0,
        )  # fmt: skip

    def _setup_scheduler(self):
        self.scheduled.append(self.epochs)

    def run(self, ending, fitness):
        """Train as long as the ending lets it, with a fitness for each epoch. Return the number of epochs."""
        for value in fitness:
            self.epoch, self.fitness = self.epoch + 1, value
            ending(self)
            if self.stop or self.epoch + 1 >= self.epochs:
                break
        return self.epoch + 1


def test_a_training_that_improves_is_not_shortened():
    trainer = _Trainer(20)
    assert trainer.run(Ending(patience=3), [0.1 * i for i in range(20)]) == 20
    assert trainer.scheduled == []


def test_where_nothing_improves_the_learning_rate_falls_to_its_end():
    trainer = _Trainer(100)
    epochs = trainer.run(Ending(patience=4), [0.1, 0.2, 0.3] + [0.3] * 97)
    assert epochs == trainer.epochs == trainer.args.epochs < 15
    assert trainer.scheduled == [epochs]
    assert epochs > WINDOW + 4


def test_a_single_good_epoch_is_chance():
    trainer = _Trainer(100)
    assert trainer.run(Ending(patience=6), [0.2, 0.3] * 50) < 100


def test_the_time_shortens_a_training_to_the_epochs_that_fit():
    trainer = _Trainer(100)
    trainer.train_time_start = time.time() - 10  # the first epoch took 10 seconds
    trainer.epoch = 0
    Ending(seconds=55)(trainer)
    assert trainer.epochs == 5
    assert not trainer.stop
    trainer.epoch, trainer.train_time_start = 1, time.time() - 60
    Ending(seconds=55)(trainer)
    assert trainer.stop


@pytest.mark.slow
def test_a_shortened_training_of_ultralytics_is_finished(scenes_model, tmp_path):
    scenes = write_scenes(tmp_path / "scenes", train=8, val=4, size=64)
    yolo, place = YOLO(scenes_model), {"data": scenes, "project": str(tmp_path), "name": "run"}
    train(yolo, {**SHORT, **place, "epochs": 50}, ending=Ending(seconds=0.1))
    assert yolo.trainer.epoch == 0
    assert finished_checkpoint(tmp_path / "run", 50) is not None
