"""The parts of detectors: anchors, codes of boxes, assignment, proposals, losses.

Boxes are x0, y0, x1, y1 in pixels of the network's input, x to the right, y down; pixel (0, 0) covers 0 to 1.
"""
