"""The direction of a metric by the words of its name: known ones, misleading ones, and those that must be asked for."""

import pytest

from lightning_critperiod.rules.direction import direction

LOWER = """loss val_loss val/loss train_loss_epoch valLoss ValLoss val_loss/dataloader_idx_0 val/box_loss loss_dice
    loss_iou Accuracy_loss accuracy-loss val_MAE valMAE val_mape SMAPE wer val_WER cer FID fid50k LPIPS
    val_perplexity ppl nll error top1_err err_top1 err@5 word_error_rate WordErrorRate MeanSquaredError
    val_rmse MSE brier_score"""
HIGHER = """acc val_acc val_acc1 acc@5 Accuracy val_terrain_iou miou mIoU val_IoU dice_score f1 F1Score AUROC roc_auc
    mAP test_BinaryF1Score MulticlassAUROC metrics/mAP50-95(B) map_50 PSNR ms_ssim bleu-4 rougeL rouge1 recall@10
    precision r2 R2Score top1 top-5_accuracy JaccardIndex ep_reward eval/episode_return"""
UNKNOWN = """terrain val_terrain errand lossless macc accumulation meter heat closs val_score epoch lr elbo entropy
    log_likelihood mapping diced is_good val_metric 12 _ /"""


@pytest.mark.parametrize("name", LOWER.split())
def test_lower_is_better(name):
    assert direction(name) == "min"


@pytest.mark.parametrize("name", HIGHER.split())
def test_higher_is_better(name):
    assert direction(name) == "max"


@pytest.mark.parametrize("name", [*UNKNOWN.split(), ""])
def test_a_name_that_does_not_say_is_not_guessed(name):
    assert direction(name) is None
