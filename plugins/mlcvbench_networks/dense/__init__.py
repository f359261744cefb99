"""Parts of networks that answer at every pixel: upsampling, atrous pyramid pooling, losses of label maps."""
