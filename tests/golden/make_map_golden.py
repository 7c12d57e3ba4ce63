"""scikit-learn's map and principal axes of 200 points, for core/report.

    python3 tests/golden/make_map_golden.py

writes tests/golden/neighbour_map.safetensors: points in six clusters of unequal width on three
curved sheets, scikit-learn's exact t-SNE of them from a PCA start, its divergence and its
trustworthiness, the first coordinates and variances of scikit-learn's PCA (of the points, and of the
first 20 of them, which are fewer than they have values), and the neighbours by cosine.
Needs numpy, scikit-learn and safetensors.
"""

import pathlib

import numpy as np
from safetensors.numpy import save_file
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors

N, DIM, PERPLEXITY, NEIGHBOURS, FEW = 200, 24, 15.0, 12, 20


def points():
    draw = np.random.default_rng(7)
    middles = 0.6 * draw.standard_normal((6, DIM))
    label = np.arange(N) % 6
    bend = draw.uniform(-2, 2, (N, 1)) * draw.standard_normal((6, DIM))[label]
    return (middles[label] + bend + (0.2 + 0.15 * label[:, None]) * draw.standard_normal((N, DIM))).astype(np.float32)


def main():
    x = points()
    tsne = TSNE(method="exact", init="pca", perplexity=PERPLEXITY, random_state=0, max_iter=1000)
    embedded = tsne.fit_transform(x.astype(np.float64))
    pca, few = PCA(5).fit(x.astype(np.float64)), PCA(5).fit(x[:FEW].astype(np.float64))
    near = NearestNeighbors(n_neighbors=5, metric="cosine").fit(x[:100].astype(np.float64))
    distance, index = near.kneighbors(x[100:].astype(np.float64))
    tensors = {
        "points": x,
        "map": embedded.astype(np.float64),
        "divergence": np.array([tsne.kl_divergence_]),
        "trustworthiness": np.array([trustworthiness(x, embedded, n_neighbors=NEIGHBOURS)]),
        "pca": pca.transform(x.astype(np.float64)),
        "pca_variances": pca.explained_variance_,
        "pca_shares": pca.explained_variance_ratio_,
        "few": few.transform(x[:FEW].astype(np.float64)),
        "few_variances": few.explained_variance_,
        "near_cosine": 1 - distance,
        "near_index": index.astype(np.int32),
    }
    here = pathlib.Path(__file__).parent
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, here / "neighbour_map.safetensors",
              {"perplexity": str(PERPLEXITY), "neighbours": str(NEIGHBOURS)})
    print("divergence", tsne.kl_divergence_, "trustworthiness", tensors["trustworthiness"][0])


if __name__ == "__main__":
    main()
