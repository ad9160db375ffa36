"""Kuzushiji-MNIST (Clanuwat et al. 2018): ten cursive Japanese characters, 28x28 pixels.

Known are the checksums of the packed files as its authors offer them; an unpacked file is known by its size alone.
"""

from envs.datasets.idx import Files
from envs.datasets.source import Source

FILES = Files(
    title="Kuzushiji-MNIST",
    folder="kmnist",
    torchvision="KMNIST",
    variable="KMNIST_DIR",
    mirrors=(
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    ),
    packed_md5=(
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    ),
)
SOURCE = Source(FILES.find)
