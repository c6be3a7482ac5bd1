"""The look-up: is this picture, or a part of it, in what was trained on?"""
