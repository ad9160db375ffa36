"""MNIST (LeCun et al. 1998): handwritten digits, 28x28 pixels; deskewed as Gaier and Ha (2019) have them."""

from envs.datasets.idx import Files
from envs.datasets.source import Source

FILES = Files(
    title="MNIST",
    folder="mnist",
    torchvision="MNIST",
    variable="MNIST_DIR",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    unpacked_md5=(
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    ),
)
SOURCE = Source(FILES.find, deskew=True)
