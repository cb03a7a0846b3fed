not = read
