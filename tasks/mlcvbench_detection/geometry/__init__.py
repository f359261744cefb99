"""Boxes, masks and who matches whom: what every protocol of detection stands on."""
