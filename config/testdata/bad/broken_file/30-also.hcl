locals { x = }
