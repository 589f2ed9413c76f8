//! The registered data sets: one table, to be read and extended by hand.
//!
//! An address is listed only when its bytes are those of the registered hash, and names a fixed
//! revision, so that it keeps giving them.

/// A registered data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    /// The name on the command line: the system that uses it first, then the data.
    pub name: &'static str,
    /// What it is, in one line.
    pub title: &'static str,
    /// The folder below a data folder of its files.
    pub folder: &'static str,
    /// Its license, or what is known of one.
    pub license: &'static str,
    /// What to cite, and where it was taken from.
    pub citation: &'static str,
    /// The system package that installs it.
    pub package: Option<Package>,
    /// How to get the set where it cannot be downloaded whole.
    pub by_hand: Option<&'static str>,
    /// Its files.
    pub files: &'static [File],
}

/// A file of a registered data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, which is also its name on disk.
    pub name: &'static str,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: &'static str,
    /// Addresses that give exactly these bytes; none when it is not downloadable as it is.
    pub urls: &'static [&'static str],
}

/// A system package that installs a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name in Debian and its relatives.
    pub name: &'static str,
    /// The command that installs it.
    pub install: &'static str,
    /// The folder where it puts the files.
    pub folder: &'static str,
}

impl Set {
    /// Whether every file has an address, so that `data fetch` can get the set.
    #[must_use]
    pub fn is_downloadable(&self) -> bool {
        self.files.iter().all(|file| !file.urls.is_empty())
    }

    /// The size of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// How to get the set: a command where there is one, else a sentence.
    #[must_use]
    pub fn how_to_get(&self) -> String {
        if self.is_downloadable() {
            format!("cargo xtask data fetch {}", self.name)
        } else if let Some(package) = &self.package {
            package.install.to_owned()
        } else {
            self.by_hand.unwrap_or("ask the authors").to_owned()
        }
    }

    /// The names of the files, separated by commas.
    pub(super) fn file_names(&self) -> String {
        let names: Vec<&str> = self.files.iter().map(|file| file.name).collect();
        names.join(", ")
    }
}

/// All registered sets, in the order of this table.
#[must_use]
pub fn sets() -> &'static [Set] {
    SETS
}

/// The registered set of this name.
#[must_use]
pub fn set(name: &str) -> Option<&'static Set> {
    SETS.iter().find(|set| set.name == name)
}

static SETS: &[Set] = &[
    Set {
        name: "cache-brightkite-citibike",
        title: "BrightKite and Citi Bike page requests: 100 instances of 2 100 and 12 of 25 000",
        folder: "cache",
        license: "none stated; derived from SNAP loc-brightkite and Citi Bike system data",
        citation: "A. Antoniadis, C. Coester, M. Eliáš, A. Polak, B. Simon. Online Metric Algorithms with Untrusted Predictions. ICML 2020; repository adampolak/mts-with-predictions",
        package: None,
        by_hand: None,
        files: &[File {
            name: "brightkite_citibike.zip",
            bytes: 1_166_716,
            sha256: "60198bd4e8adab8511c077d9a06e8caea579c0ccb183ef00d941e04befc7e1cd",
            urls: &[
                "https://raw.githubusercontent.com/adampolak/mts-with-predictions/3996c0d1fbb0feaf9444677e38e0ef10559d3d8a/data.zip",
            ],
        }],
    },
    Set {
        name: "cache-instrumented",
        title: "Last-level-cache accesses (program counter, address) of 64 sets, from five instrumented programs",
        folder: "cache/instrumented",
        license: "same as this project",
        citation: "made for this project: programs compiled with access instrumentation, filtered through a simulated first and second cache level",
        package: None,
        by_hand: Some(
            "has no public address: put the five files into the folder `cache/instrumented` of the data folder",
        ),
        files: &[
            File {
                name: "astar-like.csv.zst",
                bytes: 180_611,
                sha256: "17c7efadcfcf6c931df0e6dd297219095b84bdfca465afa9e2e20035a93ac848",
                urls: &[],
            },
            File {
                name: "bzip2.csv.zst",
                bytes: 2_047_725,
                sha256: "c6d6ca68554660f9dab02c2a09bad8ffd797eab3bef4014c28d787707386357f",
                urls: &[],
            },
            File {
                name: "lbm-like.csv.zst",
                bytes: 16_426,
                sha256: "c20464895b879b0f0470e4970c57c412fe2d037a36dbb9b6dc852cf1cc222d37",
                urls: &[],
            },
            File {
                name: "libq-like.csv.zst",
                bytes: 10_484,
                sha256: "0c9f748876e1f24b1342c98f421073dbd284dd23c33bdfebb8324eb352e588d5",
                urls: &[],
            },
            File {
                name: "mcf-like.csv.zst",
                bytes: 317_785,
                sha256: "18b26861ad6a72323640f18bd0d534636428ec4f325f79074d838254b0ceb147",
                urls: &[],
            },
        ],
    },
    Set {
        name: "cache-arc",
        title: "ARC block traces OLTP (914 145 requests) and P3 (3 912 296 requests)",
        folder: "cache",
        license: "free to use when the ARC paper is cited",
        citation: "N. Megiddo, D. S. Modha. ARC: A Self-Tuning, Low Overhead Replacement Cache. FAST 2003; repository moka-rs/cache-trace",
        package: None,
        by_hand: None,
        files: &[
            File {
                name: "OLTP.lis.zst",
                bytes: 2_375_325,
                sha256: "2a81096104b6de28aae54558b764bb32fe2ac3beb8a7dcdee1259af8798d3531",
                urls: &[
                    "https://raw.githubusercontent.com/moka-rs/cache-trace/ef0a9de8cf0202a1f2fee186a0af497774b0f0a9/arc/OLTP.lis.zst",
                ],
            },
            File {
                name: "P3.lis.zst",
                bytes: 1_455_039,
                sha256: "4110048c690756400675b14f200989fae351b62147705dac9637bbcff6d29751",
                urls: &[
                    "https://raw.githubusercontent.com/moka-rs/cache-trace/ef0a9de8cf0202a1f2fee186a0af497774b0f0a9/arc/P3.lis.zst",
                ],
            },
        ],
    },
    Set {
        name: "cache-lirs",
        title: "LIRS traces 2_pools, gli, loop, multi1, multi3 and sprite",
        folder: "cache/lirs",
        license: "Apache-2.0 (repository)",
        citation: "S. Jiang, X. Zhang. LIRS: An Efficient Low Inter-reference Recency Set Replacement Policy. SIGMETRICS 2002; repository ben-manes/caffeine",
        package: None,
        by_hand: None,
        files: &[
            File {
                name: "2_pools.trace.gz",
                bytes: 171_161,
                sha256: "12370af6d9e1b5a4d16642c6a5d0322565f20aed54bed8176901e74f70a4c3ee",
                urls: &[
                    "https://raw.githubusercontent.com/ben-manes/caffeine/ccef95542a9181182a60f5c6c33d2a0642c73574/simulator/src/main/resources/com/github/benmanes/caffeine/cache/simulator/parser/lirs/2_pools.trace.gz",
                ],
            },
            File {
                name: "gli.trace.gz",
                bytes: 5_770,
                sha256: "c300a0bff8149373bdbb7df3fa440e621aba920b0ec6bcc7a936f360f782511c",
                urls: &[
                    "https://raw.githubusercontent.com/ben-manes/caffeine/ccef95542a9181182a60f5c6c33d2a0642c73574/simulator/src/main/resources/com/github/benmanes/caffeine/cache/simulator/parser/lirs/gli.trace.gz",
                ],
            },
            File {
                name: "loop.trace.gz",
                bytes: 17_848,
                sha256: "465c1cc6bb08993034fd3597106cb0edc55b25a5984a17a12018f30a06ba60e9",
                urls: &[
                    "https://raw.githubusercontent.com/ben-manes/caffeine/ccef95542a9181182a60f5c6c33d2a0642c73574/simulator/src/main/resources/com/github/benmanes/caffeine/cache/simulator/parser/lirs/loop.trace.gz",
                ],
            },
            File {
                name: "multi1.trace.gz",
                bytes: 22_553,
                sha256: "d19de814ed1637c06692d68ddfd2da002cb6bfddc4b1ac302ed94a162836380d",
                urls: &[
                    "https://raw.githubusercontent.com/ben-manes/caffeine/ccef95542a9181182a60f5c6c33d2a0642c73574/simulator/src/main/resources/com/github/benmanes/caffeine/cache/simulator/parser/lirs/multi1.trace.gz",
                ],
            },
            File {
                name: "multi3.trace.gz",
                bytes: 52_650,
                sha256: "e1957bb3c49a1e3409fb651dd8fc4273eb144acdc5deb820e7671cb18583dfad",
                urls: &[
                    "https://raw.githubusercontent.com/ben-manes/caffeine/ccef95542a9181182a60f5c6c33d2a0642c73574/simulator/src/main/resources/com/github/benmanes/caffeine/cache/simulator/parser/lirs/multi3.trace.gz",
                ],
            },
            File {
                name: "sprite.trace.gz",
                bytes: 146_988,
                sha256: "e2613162ee4d5134cf155ae090ccd1613a0a91f45e3a0bd636233b5bb42fc28d",
                urls: &[
                    "https://raw.githubusercontent.com/ben-manes/caffeine/ccef95542a9181182a60f5c6c33d2a0642c73574/simulator/src/main/resources/com/github/benmanes/caffeine/cache/simulator/parser/lirs/sprite.trace.gz",
                ],
            },
        ],
    },
    Set {
        name: "cache-cloudphysics",
        title: "CloudPhysics trace w106: 5 292 456 block identifiers",
        folder: "cache",
        license: "Apache-2.0 (repository)",
        citation: "C. Waldspurger, N. Park, A. Garthwaite, I. Ahmad. Efficient MRC Construction with SHARDS. FAST 2015; repository ben-manes/caffeine",
        package: None,
        by_hand: None,
        files: &[File {
            name: "w106.trace.xz",
            bytes: 2_817_888,
            sha256: "679615d555d3f0c26771b0afd859caeee54e236908cd60105d08b547abadba21",
            urls: &[
                "https://raw.githubusercontent.com/ben-manes/caffeine/ccef95542a9181182a60f5c6c33d2a0642c73574/simulator/src/main/resources/com/github/benmanes/caffeine/cache/simulator/parser/cloud_physics/w106.trace.xz",
            ],
        }],
    },
    Set {
        name: "cache-web07",
        title: "Requests of a product page of an online shop, July 2013",
        folder: "cache",
        license: "CC-BY-4.0, headissue GmbH, Jens Wilke",
        citation: "J. Wilke. cache2k benchmarks; repository ben-manes/caffeine",
        package: None,
        by_hand: None,
        files: &[File {
            name: "web07.trace.xz",
            bytes: 104_172,
            sha256: "e50bb13aa66d1cc71877c8ea92c577be0d0ab5b2b4f7a16c87046af1097bd46a",
            urls: &[
                "https://raw.githubusercontent.com/ben-manes/caffeine/ccef95542a9181182a60f5c6c33d2a0642c73574/simulator/src/main/resources/com/github/benmanes/caffeine/cache/simulator/parser/cache2k/web07.trace.xz",
            ],
        }],
    },
    Set {
        name: "cache-adapt-size",
        title: "Requests with times and sizes: the sample trace of AdaptSize",
        folder: "cache",
        license: "Apache-2.0 (repository)",
        citation: "D. Berger, R. Sitaraman, M. Harchol-Balter. AdaptSize: Orchestrating the Hot Object Memory Cache in a Content Delivery Network. NSDI 2017; repository ben-manes/caffeine",
        package: None,
        by_hand: None,
        files: &[File {
            name: "adapt_size_request.trace.xz",
            bytes: 247_348,
            sha256: "92df6bf9efbc981856c1a4612de9b671d203a090f1f7cb74e94d1f2eee1675b6",
            urls: &[
                "https://raw.githubusercontent.com/ben-manes/caffeine/ccef95542a9181182a60f5c6c33d2a0642c73574/simulator/src/main/resources/com/github/benmanes/caffeine/cache/simulator/parser/adapt_size/request.trace.xz",
            ],
        }],
    },
    Set {
        name: "cache-spec2000-mcf",
        title: "Memory addresses of SPEC CPU2000 mcf: 727 230 loads and stores",
        folder: "cache",
        license: "Apache-2.0 (repository)",
        citation: "SPEC CPU2000 181.mcf; repository ben-manes/caffeine",
        package: None,
        by_hand: None,
        files: &[File {
            name: "spec2000_mcf.address.gz",
            bytes: 1_704_074,
            sha256: "c157773721e75b6322fac89105bac0e70b19dbaed880502864d13cc1ea6ea3b6",
            urls: &[
                "https://raw.githubusercontent.com/ben-manes/caffeine/ccef95542a9181182a60f5c6c33d2a0642c73574/simulator/src/main/resources/com/github/benmanes/caffeine/cache/simulator/parser/address/mcf.trace.gz",
            ],
        }],
    },
    Set {
        name: "cache-libcachesim",
        title: "One CloudPhysics trace in four encodings: 113 872 requests, 48 974 objects",
        folder: "cache/libcachesim",
        license: "GPL-3.0 (repository at this commit)",
        citation: "J. Yang et al. libCacheSim; repository 1a1a11a/libCacheSim, commit aa0fc409",
        package: None,
        by_hand: Some(
            "download cloudPhysicsIO.csv, .txt, .vscsi and .oracleGeneral.bin from https://raw.githubusercontent.com/1a1a11a/libCacheSim/aa0fc40914b2b786f4b9f4dafb099f8f332b216a/data/ into the folder `cache/libcachesim` of the data folder and compress the first three with `zstd -19 --rm` (version 1.5.4 gives the registered bytes)",
        ),
        files: &[
            File {
                name: "cloudPhysicsIO.csv.zst",
                bytes: 275_945,
                sha256: "5af608c0c8a8340e977df2bbee4591589375990077c5cbd3f48aab6485bd1db1",
                urls: &[],
            },
            File {
                name: "cloudPhysicsIO.oracleGeneral.bin",
                bytes: 2_732_928,
                sha256: "65438dd7b2d3dec7ffe8a5c9348045da92de3311f339b7b59c9a0a44e6050dea",
                urls: &[
                    "https://raw.githubusercontent.com/1a1a11a/libCacheSim/aa0fc40914b2b786f4b9f4dafb099f8f332b216a/data/cloudPhysicsIO.oracleGeneral.bin",
                ],
            },
            File {
                name: "cloudPhysicsIO.txt.zst",
                bytes: 187_109,
                sha256: "65344278897b136d86eb0c88312cb71fe2f223c76ca74c0a8f961c1050995edc",
                urls: &[],
            },
            File {
                name: "cloudPhysicsIO.vscsi.zst",
                bytes: 777_601,
                sha256: "352d59cee9f0f13699d3b90b2c71c96943f393d3efed55e6e90352ade2a8587c",
                urls: &[],
            },
        ],
    },
    Set {
        name: "cache-tencent",
        title: "Tencent block storage, sample of one volume: about 100 000 requests with sizes",
        folder: "cache",
        license: "GPL-3.0 (repository); traces of the SNIA IOTTA repository",
        citation: "W. Zhou et al. 3L-Cache. FAST 2025; repository optiq-lab/3L-Cache, commit fa5caa62",
        package: None,
        by_hand: Some(
            "download https://raw.githubusercontent.com/optiq-lab/3L-Cache/fa5caa62b1d69886a615b9a506b17c4f28612bf8/data/tencentBlock.ns1326.sample.csv into the folder `cache` of the data folder and compress it with `zstd -19 --rm` (version 1.5.4 gives the registered bytes)",
        ),
        files: &[File {
            name: "tencentBlock.ns1326.sample.csv.zst",
            bytes: 216_028,
            sha256: "4a0759eb34088140b8bc5acc9027600e74425b4f743c2c4617ecefe8b12191cc",
            urls: &[],
        }],
    },
    Set {
        name: "sketch-books",
        title: "152 public-domain books as one text, a form feed between two: 64 MB unpacked",
        folder: "text",
        license: "public domain",
        citation: "Classic books in Markdown; repository mlschmitt/classic-books-markdown",
        package: None,
        by_hand: Some(
            "has no public address as one file: put books.txt.zst into the folder `text` of the data folder",
        ),
        files: &[File {
            name: "books.txt.zst",
            bytes: 17_655_423,
            sha256: "4ed0e957c212fb864a5b1981ffdeeba2d5d2009fb2c082a1a05d814e8f8dc916",
            urls: &[],
        }],
    },
    Set {
        name: "fashion-mnist",
        title: "Fashion-MNIST: 60 000 training and 10 000 test images of 28 by 28, ten classes",
        folder: "fashion-mnist",
        license: "MIT",
        citation: "H. Xiao, K. Rasul, R. Vollgraf. Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms. 2017",
        package: Some(Package {
            name: "dataset-fashion-mnist",
            install: "sudo apt-get install dataset-fashion-mnist",
            folder: "/usr/share/datasets/fashion-mnist",
        }),
        by_hand: None,
        files: &[
            File {
                name: "train-images-idx3-ubyte.gz",
                bytes: 26_421_856,
                sha256: "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
                urls: &[],
            },
            File {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 29_491,
                sha256: "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
                urls: &[],
            },
            File {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 4_422_079,
                sha256: "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
                urls: &[],
            },
            File {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 5_125,
                sha256: "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
                urls: &[],
            },
        ],
    },
    Set {
        name: "mnist",
        title: "MNIST: 60 000 training and 10 000 test images of handwritten digits, 28 by 28",
        folder: "mnist",
        license: "none stated; derived from NIST's special databases 1 and 3",
        citation: "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-Based Learning Applied to Document Recognition. Proceedings of the IEEE 86, 1998; from the repository rasbt/mnist-pngs, packed as IDX in the original order",
        package: None,
        by_hand: Some(
            "has no public address in this packing: pack the images of the repository rasbt/mnist-pngs, in the order of their numbers, into the four IDX files of MNIST, compressed with gzip, and put them into the folder `mnist` of the data folder",
        ),
        files: &[
            File {
                name: "train-images-idx3-ubyte.gz",
                bytes: 9_630_610,
                sha256: "71524e2cd1ad2968737f7f2f2ff69cbfc32df8ccddff51593f7cb2d4e0eb5b64",
                urls: &[],
            },
            File {
                name: "train-labels-idx1-ubyte.gz",
                bytes: 28_878,
                sha256: "fe03b8bd7915f70bf5aa08be480aa413fbd85afcaa58b35d230d335f284fd88e",
                urls: &[],
            },
            File {
                name: "t10k-images-idx3-ubyte.gz",
                bytes: 1_602_050,
                sha256: "5634745efa576a17e7d4cf5cd9d09123c75e6538e5114267c2d156edaf519341",
                urls: &[],
            },
            File {
                name: "t10k-labels-idx1-ubyte.gz",
                bytes: 4_517,
                sha256: "ae18e77e031ccde52407f794d123116439864147d33ac992975f85dd4dc42af6",
                urls: &[],
            },
        ],
    },
    Set {
        name: "parm-base-mlp",
        title: "Two classifiers of 784, 200, 100 and 10 units, for MNIST and for Fashion-MNIST",
        folder: "coded-serving",
        license: "Apache-2.0",
        citation: "J. Kosaian, K. V. Rashmi, S. Venkataraman. Parity Models: Erasure-Coded Resilience for Prediction Serving Systems. SOSP 2019; repository Thesys-lab/parity-models",
        package: None,
        by_hand: Some(
            "has no public address in this format: save the tensors of train/base_model_trained_files/{mnist,fashion-mnist}/base-mlp/model.t7 of the repository Thesys-lab/parity-models as safetensors, and put them into the folder `coded-serving` of the data folder",
        ),
        files: &[
            File {
                name: "parm_base_mlp_fashion-mnist.safetensors",
                bytes: 712_896,
                sha256: "dca5cc1e28f58033ec3e8db4d553b77ae4a2f18295f7a33601bf91058e337e53",
                urls: &[],
            },
            File {
                name: "parm_base_mlp_mnist.safetensors",
                bytes: 712_896,
                sha256: "457bbf54c5f218d3e696f9da6cee7a04546ab11d7e638981949457e9093832f1",
                urls: &[],
            },
        ],
    },
    Set {
        name: "robust-stats-adult",
        title: "Census income: 32 561 rows of 15 fields",
        folder: "robust-stats",
        license: "CC-BY-4.0",
        citation: "B. Becker, R. Kohavi. Adult. UCI Machine Learning Repository, 1996; as kept in repository hharcolezi/multi-freq-ldpy, tutorials/datasets",
        package: None,
        by_hand: Some(
            "download https://archive.ics.uci.edu/static/public/2/adult.zip and unpack its `adult.data` into the folder `robust-stats` of the data folder",
        ),
        files: &[File {
            name: "adult.data",
            bytes: 3_974_305,
            sha256: "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
            urls: &[],
        }],
    },
    Set {
        name: "robust-stats-browsers",
        title: "Share of browser versions, world-wide and in four countries",
        folder: "robust-stats",
        license: "CC-BY-4.0",
        citation: "caniuse-lite 1.0.30001826, after caniuse.com; `browser,version,share_percent` of its agents and regions",
        package: None,
        by_hand: Some(
            "write the shares above zero of the npm package caniuse-lite 1.0.30001826, data/agents.js and data/regions/{BR,DE,JP,US}.js, as `browser,version,share_percent` lines into the folder `robust-stats` of the data folder",
        ),
        files: &[
            File {
                name: "browser_versions_BR.csv",
                bytes: 4_964,
                sha256: "35f67cbb95274c866bc64a37a2dcf8bcb1576bca6fb80d1d87b2dc77ca187b51",
                urls: &[],
            },
            File {
                name: "browser_versions_DE.csv",
                bytes: 5_394,
                sha256: "01864362b75d5f30a1066fde899f96c28a9f750c63ba5f903fab56d775778d6f",
                urls: &[],
            },
            File {
                name: "browser_versions_JP.csv",
                bytes: 6_129,
                sha256: "e81d92f29c6561c885d4101a5891bdbd7bcc0846d08df9a4383445aba94e5b06",
                urls: &[],
            },
            File {
                name: "browser_versions_US.csv",
                bytes: 5_899,
                sha256: "7e40339b0009261f1ea6a90470376b9d3f08af980352cc0c4d86db7becf94ce4",
                urls: &[],
            },
            File {
                name: "browser_versions_global.csv",
                bytes: 5_450,
                sha256: "03b12a4b001fbcb51bb53c562c9e3437934078de97f0c2574522654fc74c9d25",
                urls: &[],
            },
        ],
    },
    Set {
        name: "robust-stats-emoji",
        title: "How often each custom emoji was used, on two servers",
        folder: "robust-stats",
        license: "CC0",
        citation: "repository haborite/emoji_ski: misskey.io and misskey.design",
        package: None,
        by_hand: Some(
            "download misskey.io.csv and misskey.design.csv from the repository haborite/emoji_ski (commit 1dbe8a2) into the folder `robust-stats` of the data folder, as emoji_misskey_io.csv and emoji_misskey_design.csv",
        ),
        files: &[
            File {
                name: "emoji_misskey_design.csv",
                bytes: 356_805,
                sha256: "bf82493d1aa002272eba70608cc99f939a3375a522af409ecb84f5579d553bee",
                urls: &[],
            },
            File {
                name: "emoji_misskey_io.csv",
                bytes: 715_347,
                sha256: "0bdc2ad1d3ba78399e61905a2fc09f4f5249db41a940911bace2f059f40c83a8",
                urls: &[],
            },
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        let names: HashSet<&str> = SETS.iter().map(|set| set.name).collect();
        assert_eq!(names.len(), SETS.len(), "two sets share a name");
        for set in SETS {
            assert!(!set.files.is_empty(), "{}", set.name);
            assert!(
                set.is_downloadable() || set.package.is_some() || set.by_hand.is_some(),
                "{} says no way to get it",
                set.name
            );
            for file in set.files {
                let hexadecimal = |c: char| matches!(c, '0'..='9' | 'a'..='f');
                assert!(
                    file.sha256.len() == 64 && file.sha256.chars().all(hexadecimal),
                    "{}/{}",
                    set.name,
                    file.name
                );
                assert!(file.urls.iter().all(|url| url.starts_with("https://")));
                assert!(!file.name.contains('/'), "{}", file.name);
            }
        }
    }
}
