# DINOv2 ViT-B/14 with the light DPT decoder, and AdamW as the UniMatch V2 release trains it.
_base_ = ['../models/dinov2-b_dpt.py', '../schedules/adamw_foundation.py']
