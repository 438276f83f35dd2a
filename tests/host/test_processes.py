"""Recovery from the original in the processes that Ultralytics starts for several GPUs: two on the CPU, over gloo.

Ultralytics sets up its processes for GPUs only. The worker below replaces that set-up and runs the rest of its trainer.
"""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from ultralytics.utils.dist import find_free_network_port, generate_ddp_file

from tests.host.checkpoints import SHORT
from tests.structure.plans import input_widths, random_plan
from yolo_prune.demo import MODEL
from yolo_prune.demo.scenes import write_scenes
from yolo_prune.host.model import YOLO
from yolo_prune.host.trainers import TRAINERS, with_hook
from yolo_prune.recovery.objectives import Objectives, Resources, objectives_for

WORKER = """
    import hashlib, json, os, sys
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel
    from ultralytics.utils import RANK
    from ultralytics.utils.patches import torch_load
    from ultralytics.utils.torch_utils import unwrap_model

    class OnCPU(DistributedDataParallel):
        def __init__(self, module, device_ids, **options):
            super().__init__(module, **options)

    nn.parallel.DistributedDataParallel = OnCPU
    state = torch_load(sys.argv[1], map_location="cpu")
    seen = []

    class Trainer(state["trainer"]):
        def _setup_ddp(self):
            self.device = torch.device("cpu")
            dist.init_process_group("gloo", rank=RANK, world_size=self.world_size)

        def final_eval(self):  # it validates on a GPU in processes of several
            pass

    def look(trainer):
        seen.append([len(trainer.train_loader.sampler), trainer.loss_hook.loss.__qualname__])

    trainer = Trainer(overrides=state["args"], _callbacks=state["callbacks"])
    trainer.add_callback("on_train_epoch_end", look)
    trainer.world_size, trainer.model = 2, state["model"]
    trainer.train()
    weights = b"".join(value.numpy().tobytes() for value in unwrap_model(trainer.model).state_dict().values())
    result = {"seen": seen, "weights": hashlib.sha256(weights).hexdigest(), "wrapped": type(trainer.model).__name__}
    open(f"{sys.argv[2]}/{RANK}.json", "w").write(json.dumps(result))
"""


@pytest.mark.slow
def test_two_processes_train_one_slimmed_model_from_the_original(tmp_path):
    pytest.importorskip("cloudpickle", reason="Ultralytics needs cloudpickle for several GPUs")
    original = YOLO(MODEL).model.float().eval()
    plan = random_plan(original, seed=2)
    slim = plan.apply(original)
    objectives = Objectives(objectives_for("original", Resources((), original, plan), 4), original, frozen_norms=True)
    data = write_scenes(tmp_path / "data", train=8, val=5, size=64)
    arguments = {"data": data, **SHORT, "batch": 4, "device": "cpu", "project": str(tmp_path), "name": "run",
                 "model": MODEL, "amp": False}  # fmt: skip
    trainer = with_hook(TRAINERS["detect"], objectives.hook)(overrides=arguments)
    trainer.model = trainer.get_model(weights=slim, cfg=slim.yaml)
    script = Path(generate_ddp_file(trainer))
    (tmp_path / "worker.py").write_text(textwrap.dedent(WORKER))
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port",
              str(find_free_network_port())]  # fmt: skip
    done = subprocess.run(
        [*launch, "worker.py", script.with_suffix(".pt"), "."], capture_output=True, text=True, cwd=tmp_path
    )
    for path in (script, script.with_suffix(".pt")):
        path.unlink()
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first["weights"] == second["weights"]
    assert first["wrapped"] == "OnCPU"
    assert first["seen"] == second["seen"] == [[4, "Objectives.loss"]]  # each sees half of the images
    assert input_widths(YOLO(tmp_path / "run" / "weights" / "last.pt").model) == input_widths(slim)
