"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): ten kinds of clothes, 28x28 pixels.

Debian's package dataset-fashion-mnist brings its four files too.
"""

from envs.datasets.idx import Files
from envs.datasets.source import Source
from evolution.system import SHARED_DATA

FILES = Files(
    title="Fashion-MNIST",
    folder="fashion_mnist",
    torchvision="FashionMNIST",
    variable="FASHION_MNIST_DIR",
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    unpacked_md5=(
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "9018921c3c673c538a1fc5bad174d6f9",
        "8181f5470baa50b63fa0f6fddb340f0a",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
    installed=SHARED_DATA / "fashion-mnist",
)
SOURCE = Source(FILES.find)
