"""The textbook network as a script: train it, print accuracy and recall. Needs nothing of Etude."""

import keras
import numpy as np

x = np.random.rand(100, 10)
y = np.random.randint(0, 2, size=100)

model = keras.Sequential(
    [
        keras.layers.Input(shape=(10,)),
        keras.layers.Dense(10, activation="relu"),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=10, batch_size=32, validation_split=0.2, verbose=0)

predicted = model.predict(x[80:], verbose=0)[:, 0] > 0.5
right = predicted == y[80:]
print("accuracy", right.mean(), "recall", right[y[80:] == 1].mean())
