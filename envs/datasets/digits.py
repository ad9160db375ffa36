"""scikit-learn's handwritten digits: 8x8 images of values 0 to 16, here divided by 16 (Alpaydin and Kaynak 1998).

Three quarters of them are the training set. They need no download.
"""

from pathlib import Path

import numpy as np

from envs.datasets.source import Arrays, Raw, Source


def arrays() -> Arrays:
    """1347 images to train and 450 to test, float32."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    train_images, test_images, train_labels, test_labels = train_test_split(
        (digits.images / 16).astype(np.float32), digits.target, random_state=0
    )
    return Arrays(train_images, train_labels, test_images, test_labels)


def find(data_dir: Path | None) -> Raw:
    """There are no files, so no folder counts."""
    return Raw(arrays)


SOURCE = Source(find, image_size=8, as_it_comes=True, has_files=False)
