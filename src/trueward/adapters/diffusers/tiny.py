"""Random pipelines of diffusers with some ten thousand weights, made without a download, for tests and `--tiny`."""

from __future__ import annotations

import importlib
from typing import Any, Literal

import torch

from trueward.errors import TrainingError

# Lazy modules, of whose classes type checkers see but a part.
diffusers: Any = importlib.import_module("diffusers")
transformers: Any = importlib.import_module("transformers")

Kind = Literal["sd3", "flux", "sd15"]

_START, _END = "<|startoftext|>", "<|endoftext|>"
_LETTERS = [chr(code) for code in range(33, 127)]
TINY_TOKENS = 16
_WIDTH = 16
TINY_SIDE = 16
"""Height and width of the images; latents are half as high and wide."""


def tiny_pipeline(kind: Kind = "sd3", *, seed: int = 0) -> Any:
    """A whole pipeline, text encoders included, with random weights.

    Args:
        kind: sd3 (Stable Diffusion 3), flux (FLUX.1-dev) or sd15 (Stable Diffusion 1.5).
        seed: of the weights.

    Raises:
        TrainingError: unknown kind.
    """
    makers = {"sd3": _sd3, "flux": _flux, "sd15": _sd15}
    if kind not in makers:
        raise TrainingError(f"kind={kind!r} is unknown; choose {', '.join(makers)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = makers[kind]()
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _sd3() -> Any:
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=TINY_SIDE // 2,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=2 * _WIDTH,
        caption_projection_dim=_WIDTH,
        pooled_projection_dim=2 * _WIDTH,
        pos_embed_max_size=TINY_SIDE // 2,
    )
    return diffusers.StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_autoencoder(scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=transformers.CLIPTextModelWithProjection(_clip()),
        tokenizer=_letters(),
        text_encoder_2=transformers.CLIPTextModelWithProjection(_clip()),
        tokenizer_2=_letters(),
        text_encoder_3=None,
        tokenizer_3=None,
    )


def _flux() -> Any:
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=2 * _WIDTH,
        pooled_projection_dim=_WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0), *((letter, -2.0) for letter in _LETTERS)]
    tokenizer = transformers.T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=TINY_TOKENS)
    width = {"d_model": 2 * _WIDTH, "d_kv": 8, "d_ff": _WIDTH, "num_layers": 1, "num_heads": 2}
    return diffusers.FluxPipeline(
        transformer=transformer,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=_autoencoder(scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=transformers.CLIPTextModel(_clip()),
        tokenizer=_letters(),
        text_encoder_2=transformers.T5EncoderModel(transformers.T5Config(vocab_size=len(tokenizer), **width)),
        tokenizer_2=tokenizer,
    )


def _sd15() -> Any:
    unet = diffusers.UNet2DConditionModel(
        sample_size=TINY_SIDE // 2,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=_WIDTH,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return diffusers.StableDiffusionPipeline(
        unet=unet,
        scheduler=diffusers.DDIMScheduler(**schedule, clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        vae=_autoencoder(scaling_factor=0.18215),
        text_encoder=transformers.CLIPTextModel(_clip()),
        tokenizer=_letters(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _autoencoder(**settings: Any) -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=TINY_SIDE,
        **settings,
    )


def _clip() -> Any:
    return transformers.CLIPTextConfig(
        vocab_size=2 + 2 * len(_LETTERS),
        hidden_size=_WIDTH,
        intermediate_size=_WIDTH,
        projection_dim=_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TINY_TOKENS,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )


def _letters() -> Any:
    """A CLIP tokenizer of single letters."""
    tokens = [_START, _END, *_LETTERS, *(f"{letter}</w>" for letter in _LETTERS)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=TINY_TOKENS)
