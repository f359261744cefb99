"""Parts of networks that see depth: cost volumes, warping between views, losses of disparity, depth and pictures."""
