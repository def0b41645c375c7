// Package fetch downloads public data sets from their official addresses:
// resumed where a download broke off, verified against the published
// checksums, unpacked so that no archive can do harm, and complete or not
// there at all.
package fetch

import (
	"fmt"
	"slices"

	"github.com/ortrain/ortrain/tricks/nearest"
)

// File is one file of a data set.
type File struct {
	Name string
	// MD5 is the published checksum, in hexadecimal. The data sets' authors
	// publish no stronger one; against mistakes, not against forgery.
	MD5 string
	// URLs are its addresses, the official one first.
	URLs []string
	// Most is the size in bytes above which it cannot be the file.
	Most int64
}

// Set is a data set that can be downloaded.
type Set struct {
	Name string
	// Home is the page of its authors.
	Home  string
	Files []File
	// Folder is the name of the folder that it makes.
	Folder string
	// Inside is the folder of an archive whose content becomes Folder. Empty
	// if the files are taken as they are.
	Inside string
	// MostUnpacked bounds the bytes, MostMembers the files of the archives.
	MostUnpacked int64
	MostMembers  int
}

const (
	mib     = 1 << 20
	toronto = "https://www.cs.toronto.edu/~kriz/"
	fastai  = "https://s3.amazonaws.com/fast-ai-imageclas/"
)

// digits are the four files of MNIST and of the sets in its format.
func digits(bases []string, sums [4]string) []File {
	var files []File
	for i, name := range []string{"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"} {
		f := File{Name: name, MD5: sums[i], Most: 64 * mib}
		for _, b := range bases {
			f.URLs = append(f.URLs, b+name)
		}
		files = append(files, f)
	}
	return files
}

func imagenette(name, file, sum string, most int64) Set {
	return Set{
		Name: name, Home: "https://github.com/fastai/imagenette",
		Files:  []File{{Name: file + ".tgz", MD5: sum, URLs: []string{fastai + file + ".tgz"}, Most: most}},
		Folder: file, Inside: file, MostUnpacked: 2 * most, MostMembers: 20_000,
	}
}

// Sets are the data sets, by name.
var Sets = []Set{
	{
		Name: "cifar10", Home: toronto + "cifar.html",
		Files: []File{{Name: "cifar-10-binary.tar.gz", MD5: "c32a1d4ab5d03f1284b67883e8d87530",
			URLs: []string{toronto + "cifar-10-binary.tar.gz"}, Most: 200 * mib}},
		Folder: "cifar10", Inside: "cifar-10-batches-bin", MostUnpacked: 256 * mib, MostMembers: 100,
	},
	{
		Name: "cifar100", Home: toronto + "cifar.html",
		Files: []File{{Name: "cifar-100-binary.tar.gz", MD5: "03b5dce01913d631647c71ecec9e9cb8",
			URLs: []string{toronto + "cifar-100-binary.tar.gz"}, Most: 200 * mib}},
		Folder: "cifar100", Inside: "cifar-100-binary", MostUnpacked: 256 * mib, MostMembers: 100,
	},
	{
		Name: "fashion-mnist", Home: "https://github.com/zalandoresearch/fashion-mnist",
		Files: digits([]string{"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"},
			[4]string{"8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe", "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"}),
		Folder: "fashion-mnist",
	},
	imagenette("imagenette", "imagenette2-160", "e793b78cc4c9e9a4ccc0c1155377a412", 200*mib),
	imagenette("imagenette-320", "imagenette2-320", "3df6f0d01a2c9592104656642f5e78a3", 600*mib),
	imagenette("imagenette-full", "imagenette2", "fe2fc210e6bb7c5664d602c3cd71e612", 2500*mib),
	{
		// The first address is a mirror that PyTorch keeps: the authors' own
		// page refuses most downloads.
		Name: "mnist", Home: "http://yann.lecun.com/exdb/mnist/",
		Files: digits([]string{"https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"},
			[4]string{"f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432", "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"}),
		Folder: "mnist",
	},
}

// Names are the names of the data sets, sorted.
func Names() []string {
	var names []string
	for _, s := range Sets {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

// Lookup returns the data set of that name; the error suggests the nearest.
func Lookup(name string) (*Set, error) {
	for i := range Sets {
		if Sets[i].Name == name {
			return &Sets[i], nil
		}
	}
	return nil, fmt.Errorf("no data set %q to download%s", name, nearest.Hint(name, Names()))
}
