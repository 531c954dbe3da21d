"""The audit of rewards of images: what is done to an image that spoils it, and what the reward pays for it.

In: a reward of prompts and images, and a folder of images. Out: the same report as for rewards of text. Every image is
scored as it is, after each of some forty changes, and under other prompts; a finding is a change that surely raises the
reward by more than a sound reward would, or something empty that is paid like an image.

- `folder`: images with their prompts. `changes`, `perturbations`: what is done to them.
- `leaf`, `scoring`: asking the reward, in worker processes where it has an address.
- `trying`, `growing`, `climbing`: single changes and other prompts; whether the reward has an end; chains of changes.
- `comparing`, `judging`, `ledger`: gains in spreads of the reward, findings, what the best-paid images look like.
- `evidence`: all that was measured. `told`, `failures`, `notes`, `sheets`, `shown`: findings in words and pictures.
- `record`, `document`: the document.
- `blind_spots`, `cross_rewards`: which rewards see an artefact at all, and what each reward makes of the others.
- `api`: `audit_images`.
"""

from trueward.audit.images.api import ImageAuditSettings, ImageReport, audit_images
from trueward.audit.images.folder import Folder, folder_of, read_folder

__all__ = ["Folder", "ImageAuditSettings", "ImageReport", "audit_images", "folder_of", "read_folder"]
