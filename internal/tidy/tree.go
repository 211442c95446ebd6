package tidy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Tree is the Go code of a module.
type Tree struct {
	Module string
	Files  []File
}

// File is a Go file. Of a generated one only the imports are read.
type File struct {
	Path      string // from the module's root, with slashes
	Test      bool
	Generated bool
	Syntax    *ast.File
	Imports   []Import

	positions *token.FileSet
}

// Import is one line of a file's imports.
type Import struct {
	Path  string // of this module: from its root; else as it stands
	Local bool   // of this module
	Line  int
}

// Dir is the folder that the file's package is named by.
func (f File) Dir() string { return path.Dir(f.Path) }

// Name is the file's name in its folder.
func (f File) Name() string { return path.Base(f.Path) }

// line gives where in its file a piece of syntax begins.
func (f File) line(p token.Pos) int { return f.positions.Position(p).Line }

var (
	moduleLine = regexp.MustCompile(`(?m)^module\s+(\S+)`)
	generated  = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
)

// Load reads the module at the root of files. Modules nested in it, hidden
// folders and test data are not part of it.
func Load(files fs.FS) (Tree, error) {
	mod, err := fs.ReadFile(files, "go.mod")
	if err != nil {
		return Tree{}, err
	}
	found := moduleLine.FindSubmatch(mod)
	if found == nil {
		return Tree{}, fmt.Errorf("go.mod names no module")
	}
	tree := Tree{Module: string(found[1])}
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && isApart(files, name):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		file, err := read(files, name, tree.Module)
		tree.Files = append(tree.Files, file)
		return err
	})
	return tree, err
}

// isApart tells whether a folder is no part of the module around it.
func isApart(files fs.FS, name string) bool {
	base := path.Base(name)
	if name == "." {
		return false
	}
	_, err := fs.Stat(files, path.Join(name, "go.mod"))
	return err == nil || base[0] == '.' || base[0] == '_' || base == "testdata" || base == "node_modules" || base == "vendor"
}

func read(files fs.FS, name, module string) (File, error) {
	source, err := fs.ReadFile(files, name)
	if err != nil {
		return File{}, err
	}
	file := File{
		Path: name, positions: token.NewFileSet(),
		Test:      strings.HasSuffix(name, "_test.go"),
		Generated: generated.Match(source),
	}
	mode := parser.ParseComments | parser.SkipObjectResolution
	if file.Generated {
		mode = parser.ImportsOnly
	}
	if file.Syntax, err = parser.ParseFile(file.positions, name, source, mode); err != nil {
		return File{}, err
	}
	for _, spec := range file.Syntax.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return File{}, fmt.Errorf("%s: %w", name, err)
		}
		rest, local := strings.CutPrefix(target, module+"/")
		file.Imports = append(file.Imports, Import{Path: rest, Local: local, Line: file.line(spec.Pos())})
	}
	return file, nil
}

// covers tells whether a pattern, as in Floor, covers a folder or import path.
func covers(pattern, name string) bool {
	if root, all := strings.CutSuffix(pattern, "/..."); all {
		return name == root || strings.HasPrefix(name, root+"/")
	}
	rest, beneath := strings.CutPrefix(name, pattern+"/")
	return name == pattern || beneath && !strings.Contains(rest, "/")
}
