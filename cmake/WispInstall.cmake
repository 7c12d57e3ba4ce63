# libwisp, headers, plugins, and the files by which others find them.
