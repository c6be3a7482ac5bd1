"""Pictures that models drew anew, and whether `memaudit.matching.redrawn` tells them from likenesses.

autoencoder.py is a small model that is trained here; drawing.py has it, patches of other pictures and a network for
styles draw a picture anew; pairs.py makes pairs with their signals of a part of the split; fitting.py fits the model;
rates.py measures it on the part that took no part in that.
"""
