"""The peer of the loader's benchmark: PyTorch's DataLoader with torchvision's
transforms over Pillow images, as a training script for ImageNet has it.

Driven over stdin and stdout by `go run ./tools/bench/loader`. Each line

    run WORKERS IMAGES

goes once through that many images of the folder (its files over and over) in
batches of 50, with that many worker processes that are already running, and is
answered by a JSON object with the seconds. `quit` ends it.
"""

import argparse
import json
import pathlib
import sys
import time

import PIL
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms


class Photographs(Dataset):
    def __init__(self, folder, transform):
        self.files = sorted(str(p) for p in pathlib.Path(folder).iterdir() if p.suffix.lower() in (".jpeg", ".jpg"))
        self.transform = transform

    def __len__(self):
        return 1 << 30

    def __getitem__(self, i):
        # As torchvision.datasets.folder.pil_loader reads a file.
        with open(self.files[i % len(self.files)], "rb") as f:
            image = Image.open(f).convert("RGB")
        return self.transform(image), i % 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    photographs = Photographs(
        args.folder,
        transforms.Compose(
            [
                transforms.RandomResizedCrop(224),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        ),
    )
    loaders = {}

    def run(workers, images):
        if (workers, images) not in loaders:
            loaders[workers, images] = DataLoader(
                Subset(photographs, range(images)), batch_size=50, shuffle=True, num_workers=workers, drop_last=True,
                persistent_workers=workers > 0,
            )
            for _ in loaders[workers, images]:  # starts the workers and warms the files
                break
        begun = time.perf_counter()
        n = sum(len(x) for x, _ in loaders[workers, images])
        return {"seconds": time.perf_counter() - begun, "images": n}

    answer = {
        "ready": True,
        "version": f"torch {torch.__version__}, torchvision {torchvision.__version__}, Pillow {PIL.__version__}",
        "files": len(photographs.files),
    }
    print(json.dumps(answer), flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[:1] == ["quit"]:
            break
        print(json.dumps(run(int(words[1]), int(words[2]))), flush=True)


if __name__ == "__main__":
    main()
