"""Names of Ultralytics that yolo-prune relies on although Ultralytics does not document them.

Each name is listed once, with the reason. A test looks up every name in the installed version, so that a release of
Ultralytics that drops one is noticed here first.
"""

from __future__ import annotations

CHECKED = ("8.4.140", "8.4.190")  # the oldest and the newest version that the names were checked on

# "module:Class.attribute" or "module:function".
NAMES: dict[str, str] = {
    "ultralytics.cfg:DEFAULT_CFG_DICT": "names and defaults of train arguments",
    "ultralytics.cfg:TASK2DATA": "the small dataset of each task",
    "ultralytics.cfg:get_cfg": "checks of train arguments, hyperparameters of losses",
    "ultralytics.cfg:smart_value": "values of key=value, as the command of Ultralytics reads them",
    "ultralytics.data:build_yolo_dataset": "a split of a dataset without augmentation",
    "ultralytics.data:ClassificationDataset": "the same for classification",
    "ultralytics.data.augment:LetterBox": "images of a folder",
    "ultralytics.data.utils:IMG_FORMATS": "which files are images",
    "ultralytics.data.utils:add_polygon_background": "the class that semantic segmentation adds",
    "ultralytics.data.utils:check_cls_dataset": "datasets for classification",
    "ultralytics.data.utils:check_det_dataset": "datasets of all other tasks",
    "ultralytics.data.dataset:load_dataset_cache_file": "caches of labels, which are not read with --safe-load",
    "ultralytics.data.utils:find_dataset_yaml": "the yaml in a folder",
    "ultralytics.data.utils:convert_ndjson_to_yolo_if_needed": "datasets in NDJSON",
    "ultralytics.engine.model:Model.task_map": "the trainers of each task",
    "ultralytics.engine.results:Results": "predictions that are written as labels, by `save_txt` and by task",
    "ultralytics.engine.trainer:BaseTrainer._model_train": "called at the start of every epoch",
    "ultralytics.engine.trainer:BaseTrainer._setup_train": "called before training, after the averaged copy exists",
    "ultralytics.engine.trainer:BaseTrainer.get_model": "where a trainer would rebuild the model from its yaml",
    "ultralytics.engine.trainer:MultiTrainer": "what the tuner trains with",
    "ultralytics.engine.validator:BaseValidator.get_dataloader": "where a validator takes its images from",
    "ultralytics.models.yolo.detect:DetectionValidator.eval_json": "another evaluator's results on COCO",
    "ultralytics.models.yolo.classify:ClassificationValidator.build_dataset": "the images that a validator reads",
    "ultralytics.models.yolo.detect:DetectionValidator.build_dataset": "the same for all other tasks",
    "ultralytics.models.yolo.detect:DetectionValidator.update_metrics": "called with the detections of every batch",
    "ultralytics.nn.modules.block:C2f": "blocks that split a tensor into halves by `c` (C2, RepNCSPELAN4, PSA too)",
    "ultralytics.nn.modules.block:CBLinear": "a block that splits a tensor by `c2s`",
    "ultralytics.nn.modules.conv:Conv": "a convolution `conv` with its batch norm `bn` and activation `act`",
    "ultralytics.nn.modules.conv:RepConv": "a block that remembers its widths in `c1` and `c2`",
    "ultralytics.nn.modules.head:Detect.bias_init": "biases of new output layers (with `nc`, `no`, `reg_max`)",
    "ultralytics.nn.modules.head:Pose26": "a head with layers for keypoints and their sigmas (`nk`, `nk_sigma`)",
    "ultralytics.nn.tasks:BaseModel.init_criterion": "the loss of a task, kept in `criterion`; `args` holds its gains",
    "ultralytics.nn.tasks:BaseModel.loss": "the loss of a batch, from the outputs of a head in training mode",
    "ultralytics.nn.tasks:load_checkpoint": "a checkpoint with its epoch, which is -1 once it is stripped",
    "ultralytics.nn.tasks:parse_model": 'looks up yaml["scale"] in yaml["scales"] before it builds anything',
    "ultralytics.nn.tasks:yaml_model_load": "the yaml of a stock model",
    "ultralytics.utils:DATASETS_DIR": "where datasets for classification are, by name",
    "ultralytics.utils.checks:check_imgsz": "an image size that the stride divides",
    "ultralytics.utils:USER_CONFIG_DIR": "where Ultralytics keeps its settings; latency profiles lie below it",
    "ultralytics.utils.downloads:GITHUB_ASSETS_NAMES": "checkpoints that Ultralytics downloads by name",
    "ultralytics.utils.files:increment_path": "the name of a new run",
    "ultralytics.utils.patches:imread": "images of a folder, with any characters in their paths",
    "ultralytics.utils.torch_utils:select_device": "a device by the name that Ultralytics gives it",
    "ultralytics.utils.torch_utils:strip_optimizer": "a finished checkpoint",
    "ultralytics.utils.torch_utils:unset_deterministic": "ends what a trainer sets",
    "ultralytics.utils.torch_utils:unwrap_model": "the module behind the wrappers of training",
}
